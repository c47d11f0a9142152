alter table public.beds add column room_of_last_count text;
