"""Numbers that judge a classifier: metrics, calibration, operating points."""
