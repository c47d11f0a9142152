set local lock_timeout = '50ms';
set statement_timeout to 1000;
set local lock_timeout = '10ms';
set statement_timeout to '0.5s';
