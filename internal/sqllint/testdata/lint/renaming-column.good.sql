alter table public.beds rename constraint a to b;
create table public.rooms (a text);
alter table public.rooms rename column a to b;
