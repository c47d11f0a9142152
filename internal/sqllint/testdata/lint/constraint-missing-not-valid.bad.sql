alter table public.beds add constraint beds_age check (age > 0);
alter table public.beds add column width bigint check (width > 0);
