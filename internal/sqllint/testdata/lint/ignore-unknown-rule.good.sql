-- phasegate:ignored is another word
drop view public.load;
