-- Removes cached outputs, with their tags and partitions. Standard input has one a line: the project, domain, name and
-- version of its dataset and its own id, with slashes between them.
BEGIN;
CREATE TEMP TABLE dangling (row text);
\copy dangling FROM pstdin
CREATE TEMP TABLE gone AS
  SELECT DISTINCT dataset_project, dataset_domain, dataset_name, dataset_version, artifact_id FROM artifact_data
  WHERE concat_ws('/', dataset_project, dataset_domain, dataset_name, dataset_version, artifact_id) IN
    (SELECT row FROM dangling);
DELETE FROM partitions USING gone WHERE partitions.artifact_id = gone.artifact_id;
DELETE FROM tags USING gone WHERE tags.artifact_id = gone.artifact_id;
DELETE FROM artifact_data USING gone WHERE artifact_data.artifact_id = gone.artifact_id;
DELETE FROM artifacts USING gone WHERE artifacts.artifact_id = gone.artifact_id;
COMMIT;
