"""Asking the warehouse: export, SQL, one module per question, figures and the report."""
