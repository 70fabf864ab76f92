"""x."""
from pathlib import Path
ENCODER = Path(__file__).parent / "encoder"
