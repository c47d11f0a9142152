alter table public.beds add constraint beds_ward_fkey foreign key (ward) references public.wards;
alter table public.beds add column floor bigint references public.floors;
