// One door to the BSON library, so that the archive can be read without loading the database driver.
export * as BSON from 'bson';
