drop owned by app;
