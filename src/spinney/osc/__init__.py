"""``openstack cluster …``: a plug-in of python-openstackclient, for the Clustering API and for what Spinney adds to it.

It is a client: it talks to the service through openstacksdk's connection alone and imports nothing else of this package, nor
does anything of this package import it. It needs the extra ``openstack``; without that extra it is never loaded. Its commands
have the names and flags of the client that came with Senlin, which current versions of python-openstackclient cannot run.
"""
