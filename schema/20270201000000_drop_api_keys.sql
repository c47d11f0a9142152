-- The end of API keys, months after the cut-over to Auth0: nobody uses one any
-- more, and everybody has a password. Keys that are not there cannot leak.
--
-- There is no reverse in down: the keys are gone with the column, and new ones
-- would open nothing that the old ones opened. The way back is the database that
-- plans/api-key-removal.yaml stages before.

-- Takes the unique index with it. No row is rewritten: it is as fast on a million
-- users as on ten.
-- phasegate:ignore ban-drop-column the plan holds before that no key is used, and stops the API meanwhile
alter table public.users drop column api_key;
