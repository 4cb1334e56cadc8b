"""Runs drawn from known scaling laws, and the constants that SciPy finds for them.

usage: python test/golden/make-scaling-law-goldens.py     (numpy, scipy)

Written apart from src/scaling: the laws as formulas, their constants as they are (only scales as logarithms), numerical gradients, and
another minimiser (L-BFGS-B, then Nelder-Mead) from many random starts.
"""
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, minimize_scalar

DELTA = 1e-3
RNG = np.random.default_rng(7)
SIZES = [0.2, 0.45, 0.9, 1.9, 4.0]
SPARSITIES = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8]


def exponential(v, N, S, D):
    e, b, c, alpha, beta = v[:5]
    return np.exp(e) + (np.exp(b) + np.exp(c + beta / (1 - S))) / N**alpha


def without_b(v, N, S, D):
    e, c, alpha, beta = v
    return np.exp(e) + np.exp(c + beta / (1 - S)) / N**alpha


def power(v, N, S, D):
    e, b, c, alpha, beta = v
    return np.exp(e) + (np.exp(b) + np.exp(c) / (1 - S) ** beta) / N**alpha


def linear(v, N, S, D):
    e, b, c, alpha = v
    return np.exp(e) + (np.exp(b) + np.exp(c) * S) / N**alpha


def with_tokens(v, N, S, D):
    f, gamma = v[5:]
    return exponential(v, N, S, D) + np.exp(f) / D**gamma


FORMS = {
    "exponential": (exponential, ["E", "B", "C", "alpha", "beta"], 3),
    "exponential-without-b": (without_b, ["E", "C", "alpha", "beta"], 2),
    "power": (power, ["E", "B", "C", "alpha", "beta"], 3),
    "linear": (linear, ["E", "B", "C", "alpha"], 3),
    "tokens": (with_tokens, ["E", "B", "C", "alpha", "beta", "F", "gamma"], 3),
}


def huber(r):
    r = np.abs(r)
    return np.where(r <= DELTA, 0.5 * r * r, DELTA * (r - 0.5 * DELTA)).sum()


def fit(form, N, S, D, L):
    law, names, _ = FORMS[form]

    def objective(v):
        with np.errstate(all="ignore"):
            value = huber(np.log(law(v, N, S, D)) - np.log(L)) / DELTA**2
        return value if np.isfinite(value) else 1e12

    is_log = [name in "EBCF" for name in names]
    best = None
    for _ in range(16):
        start = [RNG.normal(0, 1.2) if log else RNG.uniform(0.03, 0.8) for log in is_log]
        found = minimize(objective, start, method="L-BFGS-B", options=dict(maxiter=250))
        if best is None or found.fun < best.fun:
            best = found
    for _ in range(4):
        polished = minimize(objective, best.x, method="Nelder-Mead",
                            options=dict(maxiter=3000, maxfev=3000, xatol=1e-12, fatol=1e-13, adaptive=True))
        gain = best.fun - polished.fun
        best = polished
        if gain < 1e-11:
            break
    constants = {name: float(np.exp(x) if log else x) for name, x, log in zip(names, best.x, is_log)}
    return dict(form=form, constants=constants, objective=float(best.fun * DELTA**2))


def optimum(c):
    at = minimize_scalar(lambda s: np.log(c["B"] + c["C"] * np.exp(c["beta"] / (1 - s))) + c["alpha"] * np.log1p(-s),
                         bounds=(0, 0.95), method="bounded", options=dict(xatol=1e-12))
    return float(at.x)


def case(name, truth, noise, forms, tokens=(1.0,)):
    v = [np.log(truth[k]) if k in "EBCF" else truth[k] for k in truth]
    law = with_tokens if "F" in truth else exponential
    N, S, D = (a.ravel() for a in np.meshgrid(SIZES, SPARSITIES, tokens))
    L = np.round(law(np.array(v), N, S, D) * np.exp(noise * RNG.standard_normal(N.size)), 6)
    fits = [fit(form, N, S, D, L) for form in forms]
    for one in fits:
        if one["form"] == "exponential":
            one["optimum"] = optimum(one["constants"])
    runs = [dict(size=n, sparsity=s, tokens=d, loss=l) for n, s, d, l in zip(N.tolist(), S.tolist(), D.tolist(), L.tolist())]
    return dict(name=name, truth=truth, noise=noise, runs=runs, fits=fits)


ALL = ["exponential", "exponential-without-b", "power", "linear"]
cases = [
    case("little noise", dict(E=2.4, B=0.6, C=0.9, alpha=0.35, beta=0.12), 0.0008, ALL),
    case("the noise of seeds", dict(E=2.4, B=0.2, C=1.1, alpha=0.3, beta=0.1), 0.005, ALL),
    case("tokens too", dict(E=1.5, B=0.3, C=0.9, alpha=0.35, beta=0.1, F=0.9, gamma=0.5), 0.001, ["tokens"], (0.5, 1.0, 2.0)),
]
out = Path(__file__).parent / "data" / "scaling-law.json"
out.write_text(json.dumps(dict(delta=DELTA, cases=cases), indent=1) + "\n")
for one in cases:
    for found in one["fits"]:
        print(one["name"], found)
