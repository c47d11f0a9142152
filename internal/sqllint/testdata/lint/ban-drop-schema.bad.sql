drop schema old;
