"""PPO and DMPPO agents of PARC."""
