"""In place of scikit-learn's MLPClassifier and MLPRegressor."""
