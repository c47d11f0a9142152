create table rooms (id bigint);
alter table "Beds" add column a text;
