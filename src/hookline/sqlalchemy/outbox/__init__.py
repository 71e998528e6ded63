"""The deliveries of durable hooks: written with what caused them, claimed by workers, looked after by people."""
