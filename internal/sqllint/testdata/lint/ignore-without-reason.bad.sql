-- phasegate:ignore ban-drop-table
drop table public.beds;
