"""How the example services are tested: in memory, without a broker and without waiting."""
