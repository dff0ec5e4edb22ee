"""``spinney deploy``: what a Compose file asks for compared with what is there, shown as a plan, and carried out.

``present`` looks, ``deciding`` decides (pure), ``carrying`` does, ``view`` shows. What belongs to a deployment bears its mark:
clusters and profiles in their metadata, policies in their description. Guaranteed: nothing without the mark is changed or
deleted; a run that broke off is made good by the next one, because each looks at what is there.
"""
