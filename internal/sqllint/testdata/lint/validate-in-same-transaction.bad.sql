alter table public.beds add constraint beds_age check (age > 0) not valid;
alter table public.beds validate constraint beds_age;
