-- phasegate:ignore
-- phasegate:ignore ban-fun because
drop view public.load;
