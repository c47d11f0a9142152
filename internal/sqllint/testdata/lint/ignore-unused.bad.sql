-- phasegate:ignore ban-drop-table it is empty
drop view public.load;
-- a directive does not reach further than its statement
drop table public.beds;
