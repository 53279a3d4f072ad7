-- Prints how many cached outputs cache.sql would delete in all its batches. Variable: days.
SELECT count(*) FROM artifacts WHERE created_at < now() - make_interval(days => :days);
