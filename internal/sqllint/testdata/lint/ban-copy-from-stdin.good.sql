insert into public.kinds (id, name) values (1, 'single');
copy public.kinds from '/srv/kinds.csv' with (format csv);
