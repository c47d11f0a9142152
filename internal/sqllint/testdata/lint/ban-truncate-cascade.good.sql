delete from public.wards where id = 7;
