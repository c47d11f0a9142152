drop database app;
