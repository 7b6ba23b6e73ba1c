"""MuJoCo simulator and headless pictures for PARC."""
