create table public.rooms (id bigint);
alter table if exists only "public"."Beds" add column a text;
