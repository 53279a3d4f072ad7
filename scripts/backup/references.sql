-- Prints a line KIND<tab>ROW<tab>URI for each place where a row of Flyte's database refers to an object.
-- Some URIs are columns; others are fields of type string inside protobuf messages, where the length of the text stands
-- in front of it (https://protobuf.dev/programming-guides/encoding/#length-types).
CREATE FUNCTION pg_temp.uris(message bytea) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  start int;
  at int := 1;
  size int;
BEGIN
  LOOP
    start := position('s3://'::bytea IN substring(message FROM at));
    EXIT WHEN start IS NULL OR start = 0;
    start := at + start - 1;
    IF start > 1 THEN
      size := get_byte(message, start - 2);
      -- A length of 128 or more takes two bytes, of which the first has its highest bit set.
      IF start > 2 AND size < 128 AND get_byte(message, start - 3) >= 128 THEN
        size := get_byte(message, start - 3) - 128 + size * 128;
      END IF;
      IF size BETWEEN 6 AND length(message) - start + 1 THEN
        RETURN NEXT convert_from(substring(message FROM start FOR size), 'UTF8');
      END IF;
    END IF;
    at := start + 5;
  END LOOP;
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
  RETURN;
END $$;

COPY (
  SELECT 'workflow' AS kind, id::text AS found, remote_closure_identifier AS uri FROM workflows
  UNION ALL
  SELECT 'task', id::text, uri FROM tasks, pg_temp.uris(closure) AS uri
  UNION ALL
  SELECT 'cache', concat_ws('/', dataset_project, dataset_domain, dataset_name, dataset_version, artifact_id), location
    FROM artifact_data
  UNION ALL
  SELECT 'inputs', concat_ws('/', execution_project, execution_domain, execution_name), uri
    FROM executions, unnest(ARRAY[inputs_uri, user_inputs_uri]) AS uri
  UNION ALL
  SELECT 'outputs', concat_ws('/', execution_project, execution_domain, execution_name), uri
    FROM executions, pg_temp.uris(closure) AS uri WHERE phase = 'SUCCEEDED'
) TO STDOUT;
