"""Pictures of terminals, made from the real program:  python -m docs.terminal"""
