alter table public.beds add constraint beds_ward_fkey foreign key (ward) references public.wards not valid;
create table public.floors (id bigint primary key, ward bigint references public.wards);
