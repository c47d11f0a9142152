alter table public.beds add constraint beds_age check (age > 0) not valid;
