package postgres

// locale is that of new clusters. It folds case beyond ASCII, as a production
// database does, and is there without being installed.
const locale = "C.UTF-8"
