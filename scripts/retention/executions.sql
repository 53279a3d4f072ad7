-- Deletes a batch of finished executions that nothing needs any more, and prints how many. Variables: days, batch.
--
-- An execution that another one launched goes after the one that launched it: while that runs, Flyte's engine asks for
-- the state of what it launched. The source of a recovery stays while the recovery runs, which reads its outputs.
-- SKIP LOCKED: what Flyte changes at this moment stays until the next run.
WITH running AS (
  SELECT source_execution_id FROM executions WHERE phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')
), gone AS MATERIALIZED (
  SELECT e.execution_project AS project, e.execution_domain AS domain, e.execution_name AS name
  FROM executions e
  WHERE e.phase IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')
    AND coalesce(e.execution_updated_at, e.updated_at) < now() - make_interval(days => :days)
    AND NOT EXISTS (SELECT FROM running r WHERE r.source_execution_id = e.id)
    AND NOT EXISTS (SELECT FROM node_executions n WHERE n.id = e.parent_node_execution_id)
  ORDER BY e.execution_created_at
  LIMIT :batch
  FOR UPDATE OF e SKIP LOCKED
), task_rows AS (
  DELETE FROM task_executions t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
), node_events AS (
  DELETE FROM node_execution_events t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
), node_rows AS (
  DELETE FROM node_executions t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
), signal_rows AS (
  DELETE FROM signals t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
), tag_rows AS (
  DELETE FROM execution_tags t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
), events AS (
  DELETE FROM execution_events t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
), deleted AS (
  DELETE FROM executions t USING gone g
  WHERE (t.execution_project, t.execution_domain, t.execution_name) = (g.project, g.domain, g.name)
  RETURNING 1
)
SELECT count(*) FROM deleted;
