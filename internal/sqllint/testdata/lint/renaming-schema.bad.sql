alter schema public rename to app;
