"""The door of statements: INSERT, UPDATE and DELETE of the ORM or of Core, with hooks set at a time."""
