-- Prints how many executions executions.sql would delete in all its batches. Variable: days.
WITH RECURSIVE old AS (
  SELECT e.id, n.execution_project AS project, n.execution_domain AS domain, n.execution_name AS name,
    (e.execution_project, e.execution_domain, e.execution_name)::text AS self, n.id IS NULL AS root
  FROM executions e LEFT JOIN node_executions n ON n.id = e.parent_node_execution_id
  WHERE e.phase IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')
    AND coalesce(e.execution_updated_at, e.updated_at) < now() - make_interval(days => :days)
    AND NOT EXISTS (
      SELECT FROM executions r
      WHERE r.source_execution_id = e.id AND r.phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')
    )
), gone AS (
  SELECT id, self FROM old WHERE root
  UNION
  SELECT o.id, o.self FROM old o JOIN gone g ON NOT o.root AND (o.project, o.domain, o.name)::text = g.self
)
SELECT count(*) FROM gone;
