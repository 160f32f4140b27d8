//! Empty: the dependencies are what this package is for.
