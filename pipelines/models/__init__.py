"""features/panel -> fitted models: one artifact a model type, and the table `fit` that says how each was made.

A model type is a module with two functions; its name is the `type` in models.yaml:

    fit(panel, *, horizon, **params) -> bytes                  the artifact: everything that predict needs, never a pickle
    predict(artifact, panel, *, horizon) -> float32 [S, horizon]   demand a day for the days after the panel's last
    SUFFIX                                                      of the artifact's file
"""
