//! chi2.
