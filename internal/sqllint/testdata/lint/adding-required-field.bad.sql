alter table public.beds add column code text not null;
