-- Deletes a batch of cached outputs, and prints how many. Variables: days, batch.
--
-- A task whose cached output is gone runs again. One whose cached output is there, but points at an object that is gone,
-- fails. The signatures of tasks (datasets) stay: they are few, and Flyte creates each before it stores an output.
WITH gone AS MATERIALIZED (
  SELECT dataset_project AS project, dataset_name AS name, dataset_domain AS domain, dataset_version AS version,
    artifact_id, dataset_uuid
  FROM artifacts
  WHERE created_at < now() - make_interval(days => :days)
  LIMIT :batch
  FOR UPDATE SKIP LOCKED
), tag_rows AS (
  DELETE FROM tags t USING gone g
  WHERE (t.dataset_project, t.dataset_name, t.dataset_domain, t.dataset_version, t.artifact_id)
    = (g.project, g.name, g.domain, g.version, g.artifact_id)
), partition_rows AS (
  DELETE FROM partitions t USING gone g WHERE t.artifact_id = g.artifact_id AND t.dataset_uuid = g.dataset_uuid
), data_rows AS (
  DELETE FROM artifact_data t USING gone g
  WHERE (t.dataset_project, t.dataset_name, t.dataset_domain, t.dataset_version, t.artifact_id)
    = (g.project, g.name, g.domain, g.version, g.artifact_id)
), deleted AS (
  DELETE FROM artifacts t USING gone g
  WHERE (t.dataset_project, t.dataset_name, t.dataset_domain, t.dataset_version, t.artifact_id)
    = (g.project, g.name, g.domain, g.version, g.artifact_id)
  RETURNING 1
)
SELECT count(*) FROM deleted;
