-- phasegate:ignore ban-drop-table empty since May, see the inventory
drop table public.beds;
