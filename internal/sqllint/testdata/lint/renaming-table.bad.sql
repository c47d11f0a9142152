alter table public.beds rename to cots;
alter view public.load rename to usage;
alter table public.wards set schema clinic;
