comment on database app is 'the application''s';
