alter index public.beds_code rename to beds_label;
