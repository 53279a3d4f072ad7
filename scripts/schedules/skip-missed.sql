-- Makes Flyte skip the times that its schedules have missed, except those of the last :age (an interval, such as 1 hour;
-- 0 skips all of them). Flyte must not run, or be just about to start: it reads the times at its start.
--
-- Flyte starts a schedule for every time since the later one of its last snapshot and this column
-- (flyteadmin/scheduler/core/gocron_scheduler.go). A new database has no such table yet.
SELECT to_regclass('schedulable_entities') IS NOT NULL AS present \gset
\if :present
UPDATE schedulable_entities SET updated_at = now() - interval :'age'
WHERE active AND deleted_at IS NULL AND updated_at < now() - interval :'age';
\endif
