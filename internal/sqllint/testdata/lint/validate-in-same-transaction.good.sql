alter table public.beds validate constraint beds_age;
